/**
 * The invariants of a hardened heap, except those of its ledger: every seal, every unowned byte.
 */
import { checkBlocks } from '../engine/check.js'
import { walk } from '../engine/walk.js'
import { corrupt } from '../errors.js'
import { sizeOf, USED } from '../layout/block.js'
import { FIRST_WORD, TOP_WORD, TOUCHED_WORD } from '../layout/header.js'
import { requestedOf } from './fault.js'
import { SLOT_BYTES, slotOf } from './layout.js'
import type { Ledger } from './ledger.js'

/**
 * Verifies every invariant, and every byte ever used except payloads. Throws ERR_OFFHEAP_CORRUPT.
 */
export function checkHardened(ledger: Ledger): void {
  const { words, seals, memory, faults, quarantine, guard } = ledger
  ledger.verifyHeader()
  checkBlocks(words, guard)
  quarantine.check()
  const first = slotOf(words[FIRST_WORD])
  const inFront = memory.firstChanged(first - SLOT_BYTES, first)
  if (inFront !== -1) throw faults.writeToFree(first - SLOT_BYTES, first, inFront)
  memory.givenBack.check()
  let blocks = 0
  for (const block of walk(words)) {
    blocks++
    const begin = slotOf(block)
    const end = slotOf(block + sizeOf(words[block]))
    if ((words[block] & USED) === 0) {
      if (!seals.holds('free', block)) throw faults.entry(block)
      const changed = memory.firstChanged(begin, end)
      if (changed !== -1) throw faults.writeToFree(begin, end, changed)
    } else if (seals.holds('used', block)) {
      const changed = memory.firstChanged(begin + requestedOf(words, block), end)
      if (changed !== -1) throw faults.overflow(block, changed)
      if (memory.givenBack.hasAny(begin, end)) {
        throw corrupt(
          `the block at ${begin} is used, but one of its pages is noted as returned to the system`
        )
      }
    } else if (seals.holds('quarantined', block)) {
      const changed = memory.firstChanged(begin, end)
      if (changed !== -1) throw faults.writeAfterFree(block, changed)
    } else throw faults.entry(block)
  }
  const seen = seals.count(words[TOUCHED_WORD])
  if (seen !== blocks) throw corrupt(`${blocks} blocks are in the ledger, but ${seen} have a seal`)
  const [top, touched] = [slotOf(words[TOP_WORD]), slotOf(words[TOUCHED_WORD])]
  const changed = memory.firstChanged(top, touched)
  if (changed !== -1) throw faults.writeToFree(top, touched, changed)
}
