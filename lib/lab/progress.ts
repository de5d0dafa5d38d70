/**
 * Where a worker is, as a few words. The submission's thread writes them, a second thread of the same process tells them to the
 * grader, so that it is known where the submission was when it had to be killed.
 */

/** What the worker is doing: one of the phases below. */
export const PHASE = 0
/** The operation under way; -1 before the first. */
export const OPERATION = 1
/** How often a watched allocator has touched the memory, modulo 2 ** 32. */
export const ACCESSES = 2
/** KiB that the process had when the job began. */
export const RESIDENT_BEFORE = 3
/** KiB that it has. */
export const RESIDENT = 4
/** Milliseconds of processor time that it has had. */
export const PROCESSOR = 5
export const PROGRESS_WORDS = 6

/** No job yet. */
export const WAITING = 0
/** Each of the others has a time limit of its own. */
export const LOADING = 1
export const VERIFYING = 2
export const DIAGNOSING = 3
export const PAIRING = 4
export const TIMING = 5
/** Counting the bytes of JavaScript objects. */
export const WEIGHING = 6

/** The worker's file descriptor for the words; 3 is the channel of messages. */
export const PROGRESS_FD = 4
