import { useSyncExternalStore } from 'react'
import { de } from './de'
import { en } from './en'

export type Texts = typeof en

/** A language is a file beside this one, and stands here. The first one is for everybody else. */
export const LANGUAGES: Record<string, Texts> = { en, de }

/** Keeps the language that a person has chosen, which is also that of the mails. */
const COOKIE = 'language'
const COOKIE_LIFE_S = 365 * 24 * 60 * 60
const listeners = new Set<() => void>()

/** The first of the languages that the person asks for, here or in the browser, in which there are texts. */
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

/** What the pages say, in the person's language. */
export function useTexts(): Texts {
  return LANGUAGES[useLanguage()] ?? en
}

function onLanguageChange(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
