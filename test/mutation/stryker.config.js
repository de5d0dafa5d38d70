/** How mutants are made and judged; main.js says of which files. */
export default {
  testRunner: 'in-process',
  plugins: ['./test/mutation/runner.js'],
  coverageAnalysis: 'perTest',
  // Constants and tables are read when the tests are loaded, which is once.
  ignoreStatic: true,
  // The score is about behaviour: an error with other words is the same error.
  mutator: { excludedMutations: ['StringLiteral'] },
  disableTypeChecks: '{lib,test}/**/*.ts',
  // TypeScript 7 has no API to read it with; the paths in the copy are the same anyway.
  tsconfigFile: 'none',
  // The copy that is mutated has what the tests need, and nothing else.
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
  // Tests that run for the first time, and note what they cover, take several times as long as
  // later; but the machine may be busy, and a mutant that is only slow must not count as noticed.
  timeoutMS: 15_000,
  timeoutFactor: 0.5,
  dryRunTimeoutMinutes: 30,
  reporters: ['json', 'progress-append-only'],
  jsonReporter: { fileName: '.mutation/report.json' },
  tempDirName: '.mutation/sandbox'
}
