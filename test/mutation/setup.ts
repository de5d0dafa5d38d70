/**
 * Properties as a mutant needs them: the same sequences each time, and none is shrunk, for nobody
 * reads which one failed.
 */
import fc from 'fast-check'

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 1, endOnFailure: true })
