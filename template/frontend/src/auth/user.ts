import { useSyncExternalStore } from 'react'

/** The storage key of who is logged in. The session itself is in a cookie that scripts cannot read. */
const KEY = 'user'
const listeners = new Set<() => void>()

/** The public id of the user who is logged in. */
export function getUser(): string | null {
  return localStorage.getItem(KEY)
}

export function setUser(pid: string): void {
  localStorage.setItem(KEY, pid)
  listeners.forEach((listener) => listener())
}

export function clearUser(): void {
  localStorage.removeItem(KEY)
  listeners.forEach((listener) => listener())
}

/** Calls `listener` when the user logs in or out, in this window or in another. */
export function onUserChange(listener: () => void): () => void {
  function onStorage({ key }: StorageEvent) {
    // No key: the whole storage was cleared.
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

export function useUser(): string | null {
  return useSyncExternalStore(onUserChange, getUser)
}

export function useIsLoggedIn(): boolean {
  return useUser() !== null
}
