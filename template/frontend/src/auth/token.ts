import { useSyncExternalStore } from 'react'

const KEY = 'auth_token'
const listeners = new Set<() => void>()

export function getToken(): string | null {
  return localStorage.getItem(KEY)
}

export function setToken(token: string): void {
  localStorage.setItem(KEY, token)
  listeners.forEach((listener) => listener())
}

export function clearToken(): void {
  localStorage.removeItem(KEY)
  listeners.forEach((listener) => listener())
}

/** Calls `listener` when the user logs in or out, in this window or in another. */
export function onTokenChange(listener: () => void): () => void {
  listeners.add(listener)
  window.addEventListener('storage', listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener('storage', listener)
  }
}

export function useToken(): string | null {
  return useSyncExternalStore(onTokenChange, getToken)
}

export function useIsLoggedIn(): boolean {
  return useToken() !== null
}
