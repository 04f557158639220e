import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [react()],
  server: {
    // The service reads its port from the same variable (config/development.yaml).
    proxy: { '/api': `http://localhost:${process.env.PORT ?? '5150'}` },
  },
  test: { environment: 'happy-dom' },
})
