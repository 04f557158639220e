import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { clearUser } from '../auth/user'
import { ApiClientError, del, get, post } from './client'

export interface Account {
  name: string
  email: string
  is_verified: boolean
}

export interface Session {
  pid: string
  /** Such as `Firefox, Linux`. */
  browser: string
  created_at: string
  is_current: boolean
}

const ACCOUNT = ['account']
const SESSIONS = ['account', 'sessions']

export function useAccount() {
  return useQuery({ queryKey: ACCOUNT, queryFn: () => get<Account>('/api/account').catch(logOutIfDeleted) })
}

export function useSessions() {
  return useQuery({ queryKey: SESSIONS, queryFn: () => get<Session[]>('/api/account/sessions') })
}

export function useChangeName() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (name: string) => post<Account>('/api/account/name', { name }),
    onSuccess: (account) => client.setQueryData(ACCOUNT, account),
  })
}

export function useChangeEmail() {
  return useMutation({
    mutationFn: (change: { email: string; current_password: string }) =>
      post<null>('/api/account/email', change),
  })
}

/** Succeeds for whoever reads the mail at the new address: that need not be who is logged in here. */
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
    mutationFn: (change: { current_password: string; new_password: string }) =>
      post<null>('/api/account/password', change),
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
    mutationFn: (current_password: string) => post<null>('/api/account/delete', { current_password }),
    onSuccess: clearUser,
  })
}

function logOutIfDeleted(error: unknown): never {
  if (error instanceof ApiClientError && error.status === 404) {
    clearUser()
  }
  throw error
}
