import { QueryClient } from '@tanstack/react-query'
import { onUserChange } from '../auth/user'
import { ApiClientError } from './client'

/** Asks again only where that can help, and forgets what belonged to another user. */
export function createQueryClient(): QueryClient {
  const client = new QueryClient({
    defaultOptions: {
      // Without a network a request fails at once. It would otherwise wait for one, and be sent long
      // after the person has left the page.
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
