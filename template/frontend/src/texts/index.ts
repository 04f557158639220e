import { useSyncExternalStore } from 'react'
import { de } from './de'
import { en } from './en'

export type Texts = typeof en

/** A language is a file beside this one, and stands here. The first one is for everybody else. */
export const LANGUAGES: Record<string, Texts> = { en, de }

/** Keeps the language that a person has chosen. */
const KEY = 'language'
const listeners = new Set<() => void>()

/** The first of the languages that the person asks for, here or in the browser, in which there are texts. */
export function getLanguage(): string {
  const wanted = [localStorage.getItem(KEY) ?? '', ...navigator.languages]
  const known = wanted.map((language) => language.slice(0, 2)).find((language) => language in LANGUAGES)
  return known ?? 'en'
}

export function setLanguage(language: string): void {
  localStorage.setItem(KEY, language)
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
