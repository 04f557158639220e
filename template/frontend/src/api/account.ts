import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { clearUser } from '../auth/user'
import type { AccountResponse } from '../bindings/AccountResponse'
import type { DeleteParams } from '../bindings/DeleteParams'
import type { EmailParams } from '../bindings/EmailParams'
import type { NameParams } from '../bindings/NameParams'
import type { PasswordParams } from '../bindings/PasswordParams'
import type { SessionResponse } from '../bindings/SessionResponse'
import { ApiClientError, del, get, post } from './client'

const ACCOUNT = ['account']
const SESSIONS = ['account', 'sessions']

export function useAccount() {
  return useQuery({ queryKey: ACCOUNT, queryFn: () => get<AccountResponse>('/api/account').catch(logOutIfDeleted) })
}

export function useSessions() {
  return useQuery({ queryKey: SESSIONS, queryFn: () => get<SessionResponse[]>('/api/account/sessions') })
}

export function useChangeName() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: NameParams) => post<AccountResponse>('/api/account/name', change),
    onSuccess: (account) => client.setQueryData(ACCOUNT, account),
  })
}

export function useChangeEmail() {
  return useMutation({
    mutationFn: (change: EmailParams) => post<null>('/api/account/email', change),
  })
}

/** Works for anyone who receives the email at the new address, logged in or not. */
export function useConfirmEmail() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (token: string) =>
      post<null>(`/api/account/email/${encodeURIComponent(token)}`, undefined, null),
    onSuccess: () => client.invalidateQueries({ queryKey: ACCOUNT }),
  })
}

export function useChangePassword() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: PasswordParams) => post<null>('/api/account/password', change),
    onSuccess: () => client.invalidateQueries({ queryKey: SESSIONS }),
  })
}

export function useEndSession() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (pid: string) => del(`/api/account/sessions/${pid}`),
    onSuccess: () => client.invalidateQueries({ queryKey: SESSIONS }),
  })
}

export function useDeleteAccount() {
  return useMutation({
    mutationFn: (deletion: DeleteParams) => post<null>('/api/account/delete', deletion),
    onSuccess: clearUser,
  })
}

function logOutIfDeleted(error: unknown): never {
  if (error instanceof ApiClientError && error.status === 404) {
    clearUser()
  }
  throw error
}
