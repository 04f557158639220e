import { useMutation, useQuery } from '@tanstack/react-query'
import { clearToken, getToken, setToken } from '../auth/token'
import { ApiClientError, get, post } from './client'

export interface Registration {
  name: string
  email: string
  password: string
}

export interface Credentials {
  email: string
  password: string
}

export interface Login {
  token: string
  pid: string
  name: string
  is_verified: boolean
}

export interface CurrentUser {
  pid: string
  name: string
  email: string
}

/** Succeeds for an address that is taken, too: no one learns here who has an account. */
export function useRegister() {
  return useMutation({
    mutationFn: (registration: Registration) => post<null>('/api/auth/register', registration, null),
  })
}

export function useResendVerification() {
  return useMutation({
    mutationFn: (email: string) => post<null>('/api/auth/resend-verification-mail', { email }, null),
  })
}

export function useVerify() {
  return useMutation({
    mutationFn: (token: string) => get<null>(`/api/auth/verify/${encodeURIComponent(token)}`, null),
  })
}

export function useLogin() {
  return useMutation({
    mutationFn: (credentials: Credentials) => post<Login>('/api/auth/login', credentials, null),
    onSuccess: ({ token }) => setToken(token),
  })
}

/** Forgets the token at once, and has the service end its session. */
export function logOut(): void {
  const token = getToken()
  clearToken()
  post<null>('/api/auth/logout', undefined, token).catch(() => undefined)
}

export function useMagicLink() {
  return useMutation({
    mutationFn: (email: string) => post<object>('/api/auth/magic-link', { email }, null),
  })
}

export function useMagicLinkLogin() {
  return useMutation({
    mutationFn: (token: string) => get<Login>(`/api/auth/magic-link/${encodeURIComponent(token)}`, null),
    onSuccess: ({ token }) => setToken(token),
  })
}

export function useForgotPassword() {
  return useMutation({
    mutationFn: (email: string) => post<null>('/api/auth/forgot', { email }, null),
  })
}

export function useResetPassword() {
  return useMutation({
    mutationFn: (reset: { token: string; password: string }) => post<null>('/api/auth/reset', reset, null),
  })
}

export function useCurrentUser() {
  return useQuery({
    queryKey: ['auth', 'current'],
    queryFn: () => get<CurrentUser>('/api/auth/current').catch(logOutIfDeleted),
  })
}

function logOutIfDeleted(error: unknown): never {
  if (error instanceof ApiClientError && error.status === 404) {
    clearToken()
  }
  throw error
}
