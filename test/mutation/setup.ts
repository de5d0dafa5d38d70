/**
 * Settings of the random tests for mutants: the same sequences each time, without shrinking,
 * because only the failure counts.
 */
import fc from 'fast-check'

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 1, endOnFailure: true })
