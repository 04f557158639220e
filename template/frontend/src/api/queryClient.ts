import { QueryClient } from '@tanstack/react-query'
import { onUserChange } from '../auth/user'
import { ApiClientError } from './client'

/** Retries only where that can help, and forgets the data of another user. */
export function createQueryClient(): QueryClient {
  const client = new QueryClient({
    defaultOptions: {
      // Offline, a request fails at once. Otherwise it would wait, and be sent long after the user
      // has left the page.
      mutations: { networkMode: 'always' },
      queries: {
        networkMode: 'always',
        retry: (failures, error) =>
          failures < 2 && error instanceof ApiClientError && (error.status === 0 || error.status >= 500),
      },
    },
  })
  onUserChange(() => client.removeQueries())
  return client
}
