import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Two cores and a kernel that is shared: files side by side, each in a process of its own, since some load a
    // native library and count file descriptors.
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
