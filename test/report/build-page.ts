/** Bundles the page of `offheap view`, which is read from dist, so that tests see the script as it stands in lib. */

import { execFileSync } from 'node:child_process'

export function setup(): void {
  execFileSync('npm', ['run', '--silent', 'build:page'], { stdio: ['ignore', 'ignore', 'inherit'] })
}
