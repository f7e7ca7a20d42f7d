import tseslint from 'typescript-eslint';

const noShell = [
  { selector: "Property[key.name='shell']", message: 'No shell anywhere: pass argv.' },
  { selector: "CallExpression[callee.name=/^(exec|execSync|execaCommand|execaCommandSync)$/]", message: 'No shell anywhere: pass argv.' },
];
const noGlobalTimers = ['setTimeout', 'setInterval'].map((name) => ({
  name,
  message: 'Every wait has a deadline and a signal: use src/wait.ts.',
}));

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.node/', '.cache/', '.forge/', 'examples/', 'test/fixtures/', 'buildpacks/*/test/fixtures/'] },
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts'],
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-syntax': ['error', ...noShell],
      'max-lines': ['error', { max: 300 }],
      'max-params': ['error', { max: 4 }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'max-lines-per-function': ['error', { max: 60 }],
      'no-restricted-globals': ['error', ...noGlobalTimers],
      'no-restricted-imports': ['error', { paths: [{ name: 'node:child_process', message: 'Use src/run-process.ts.' }] }],
      'no-restricted-properties': ['error', { object: 'process', property: 'env', message: 'Only config.ts reads the environment.' }],
    },
  },
  { files: ['src/config.ts', 'src/cli/main.ts', 'src/hook/**', 'src/relay/**', 'src/wait.ts'], rules: { 'no-restricted-properties': 'off', 'no-restricted-globals': 'off' } },
);
