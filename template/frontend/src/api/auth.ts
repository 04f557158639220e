import { useMutation } from '@tanstack/react-query'
import { clearUser, setUser } from '../auth/user'
import { post, request } from './client'

export interface Registration {
  name: string
  email: string
  password: string
}

export interface Credentials {
  email: string
  password: string
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
    mutationFn: (token: string) => post<null>(`/api/auth/verify/${encodeURIComponent(token)}`, undefined, null),
  })
}

export function useLogin() {
  return useMutation({
    mutationFn: (credentials: Credentials) => post<CurrentUser>('/api/session', credentials, null),
    onSuccess: ({ pid }) => setUser(pid),
  })
}

export function useLogout() {
  return useMutation({
    mutationFn: () => request<null>('DELETE', '/api/session'),
    onSuccess: clearUser,
  })
}

export function useMagicLink() {
  return useMutation({
    mutationFn: (email: string) => post<object>('/api/auth/magic-link', { email }, null),
  })
}

export function useMagicLinkLogin() {
  return useMutation({
    mutationFn: (token: string) =>
      post<CurrentUser>(`/api/session/${encodeURIComponent(token)}`, undefined, null),
    onSuccess: ({ pid }) => setUser(pid),
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
