import { useSyncExternalStore } from 'react'
import { de } from './de'
import { en } from './en'

export type Texts = typeof en

/** Each language is a file in this folder and listed here. The first is the fallback. */
export const LANGUAGES: Record<string, Texts> = { en, de }

/** Stores the chosen language, which emails use, too. */
const COOKIE = 'language'
const COOKIE_LIFE_S = 365 * 24 * 60 * 60
const listeners = new Set<() => void>()

/** The first available language among those that the user prefers, chosen here or in the browser. */
export function getLanguage(): string {
  const wanted = [chosenLanguage(), ...navigator.languages]
  const known = wanted.map((language) => language.slice(0, 2)).find((language) => language in LANGUAGES)
  return known ?? 'en'
}

function chosenLanguage(): string {
  const cookie = document.cookie.split('; ').find((cookie) => cookie.startsWith(`${COOKIE}=`))
  return cookie?.slice(COOKIE.length + 1) ?? ''
}

export function setLanguage(language: string): void {
  document.cookie = `${COOKIE}=${language}; path=/; max-age=${COOKIE_LIFE_S}; samesite=lax`
  listeners.forEach((listener) => listener())
}

export function useLanguage(): string {
  return useSyncExternalStore(onLanguageChange, getLanguage)
}

export function getTexts(): Texts {
  return LANGUAGES[getLanguage()] ?? en
}

/** The texts of the pages, in the user's language. */
export function useTexts(): Texts {
  return LANGUAGES[useLanguage()] ?? en
}

function onLanguageChange(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
