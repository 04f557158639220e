import { useMutation } from '@tanstack/react-query'
import { clearUser, setUser } from '../auth/user'
import type { CurrentResponse } from '../bindings/CurrentResponse'
import type { ForgotParams } from '../bindings/ForgotParams'
import type { LoginParams } from '../bindings/LoginParams'
import type { MagicLinkParams } from '../bindings/MagicLinkParams'
import type { RegisterParams } from '../bindings/RegisterParams'
import type { ResendVerificationParams } from '../bindings/ResendVerificationParams'
import type { ResetParams } from '../bindings/ResetParams'
import { post, request } from './client'

/** Also succeeds if the address is taken, so that nobody learns who has an account. */
export function useRegister() {
  return useMutation({
    mutationFn: (registration: RegisterParams) => post<null>('/api/auth/register', registration, null),
  })
}

export function useResendVerification() {
  return useMutation({
    mutationFn: (params: ResendVerificationParams) =>
      post<null>('/api/auth/resend-verification-mail', params, null),
  })
}

export function useVerify() {
  return useMutation({
    mutationFn: (token: string) => post<null>(`/api/auth/verify/${encodeURIComponent(token)}`, undefined, null),
  })
}

export function useLogin() {
  return useMutation({
    mutationFn: (credentials: LoginParams) => post<CurrentResponse>('/api/session', credentials, null),
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
    mutationFn: (params: MagicLinkParams) => post<object>('/api/auth/magic-link', params, null),
  })
}

export function useMagicLinkLogin() {
  return useMutation({
    mutationFn: (token: string) =>
      post<CurrentResponse>(`/api/session/${encodeURIComponent(token)}`, undefined, null),
    onSuccess: ({ pid }) => setUser(pid),
  })
}

export function useForgotPassword() {
  return useMutation({
    mutationFn: (params: ForgotParams) => post<null>('/api/auth/forgot', params, null),
  })
}

export function useResetPassword() {
  return useMutation({
    mutationFn: (reset: ResetParams) => post<null>('/api/auth/reset', reset, null),
  })
}
