import { useEffect, type ReactNode } from 'react'
import { appName } from '../appName'

interface Props {
  title: string
  children?: ReactNode
}

/** A page with its heading, which also stands in the window's title. */
export function Page({ title, children }: Props) {
  useEffect(() => {
    document.title = `${title} – ${appName}`
    return () => {
      document.title = appName
    }
  }, [title])

  return (
    <>
      <h1>{title}</h1>
      {children}
    </>
  )
}
