import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules", "coverage", "dist", "test/cluster/tools"] },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A verdict, a problem or an event kind that a switch forgets is a hole in the gate.
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      "@typescript-eslint/consistent-type-definitions": ["error", "interface"],
      "no-console": "error",
      eqeqeq: "error",
    },
  },
  {
    // Tests assert with chai's property style (`expect(x).to.be.true`).
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-unused-expressions": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  {
    // These speak to the person at the terminal.
    files: ["src/commands/**/*.ts", "bench/**/*.ts", "scripts/**/*.ts", "test/cluster/**/*.ts"],
    rules: { "no-console": "off" },
  },
);
