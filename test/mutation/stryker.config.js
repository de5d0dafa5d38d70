/** How mutants are made and judged; main.js chooses the files. */
export default {
  testRunner: 'in-process',
  plugins: ['./test/mutation/runner.js'],
  coverageAnalysis: 'perTest',
  // Constants and tables are evaluated only once, when the tests are loaded.
  ignoreStatic: true,
  // The score is about behaviour: an error with another message is the same error.
  mutator: { excludedMutations: ['StringLiteral'] },
  disableTypeChecks: '{lib,test}/**/*.ts',
  // TypeScript 7 has no API to read it; the paths in the copy are the same anyway.
  tsconfigFile: 'none',
  // The copy that is mutated has only what the tests need.
  ignorePatterns: [
    '*',
    '!lib/**',
    '!test/**',
    '!native/**',
    '!build/**',
    '!traces/**',
    '!labs/**',
    '!package.json',
    '!tsconfig.json',
    'test/{fuzz,soak}/build',
    'test/mutation/node_modules'
  ],
  concurrency: 1,
  // Tests collect garbage; what they leave is collected less often.
  testRunnerNodeArgs: ['--expose-gc', '--max-semi-space-size=64'],
  // Tests that run for the first time, and note what they cover, take several times as long as
  // later. The machine may also be busy, and a mutant that is only slow must not count as detected.
  timeoutMS: 15_000,
  timeoutFactor: 0.5,
  dryRunTimeoutMinutes: 30,
  reporters: ['json', 'progress-append-only'],
  jsonReporter: { fileName: '.mutation/report.json' },
  tempDirName: '.mutation/sandbox'
}
