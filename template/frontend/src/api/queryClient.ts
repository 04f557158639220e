import { QueryClient } from '@tanstack/react-query'
import { onTokenChange } from '../auth/token'
import { ApiClientError } from './client'

/** Asks again only where that can help, and forgets what belonged to another user. */
export function createQueryClient(): QueryClient {
  const client = new QueryClient({
    defaultOptions: {
      queries: {
        retry: (failures, error) =>
          failures < 2 && error instanceof ApiClientError && (error.status === 0 || error.status >= 500),
      },
    },
  })
  onTokenChange(() => client.removeQueries())
  return client
}
