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
  function onStorage({ key }: StorageEvent) {
    // Without a key, all was cleared.
    if (key === KEY || key === null) {
      listener()
    }
  }
  listeners.add(listener)
  window.addEventListener('storage', onStorage)
  return () => {
    listeners.delete(listener)
    window.removeEventListener('storage', onStorage)
  }
}

export function useToken(): string | null {
  return useSyncExternalStore(onTokenChange, getToken)
}

export function useIsLoggedIn(): boolean {
  return useToken() !== null
}
