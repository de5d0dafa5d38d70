/**
 * Opens the allocator of the page: the package's own, or a lab's. Each is a script of the page.
 */

import type { PlayConfig } from '../config.js'
import type { OwnOptions } from '../own.js'
import { pictureOfOwn } from '../own-picture.js'
import type { Instrument, Player } from '../player.js'
import { LOW, openSubmission } from '../submission.js'
import { pictureOfSubmission } from '../submission-picture.js'
import { scriptNamed } from './scripts.js'

/** Loads the script `engine` again, and calls its `openOwn`. */
function openEngine(options: OwnOptions): Player {
  const loaded = scriptNamed('engine').load()
  if (
    typeof loaded !== 'object' ||
    loaded === null ||
    !('openOwn' in loaded) ||
    typeof loaded.openOwn !== 'function'
  ) {
    throw new Error('the script engine has no openOwn')
  }
  return loaded.openOwn(options)
}

export function openInstrument({ submission, size }: PlayConfig, options: OwnOptions): Instrument {
  if (submission !== undefined) {
    return {
      label: submission,
      open: () => openSubmission(scriptNamed('submission').load(), size),
      picture: scene => pictureOfSubmission(scene, LOW)
    }
  }
  return {
    label: options.slabs ? `${options.placement}, with slabs` : options.placement,
    open: () => openEngine(options),
    picture: pictureOfOwn
  }
}
