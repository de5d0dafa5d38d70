/** Headless Chromium for tests of pages: the program in CHROMIUM, or where systems install it. */

import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { HANG } from './hang.js'

const PLACES = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
]
const executablePath = PLACES.find(place => place !== undefined && existsSync(place))

/** Whether Chromium is missing, and the suffix for the names of tests that are skipped then. */
export const noChromium = executablePath === undefined
export const reason = noChromium ? ' (skipped: no Chromium here; install it or set CHROMIUM)' : ''

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    ...(executablePath === undefined ? {} : { executablePath }),
    // Containers often run as root, where Chromium's sandbox can't be.
    args: ['--no-sandbox'],
    timeout: HANG
  })
}
