import { useEffect, useRef, type ReactNode } from 'react'
import { appName } from '../appName'

interface Props {
  title: string
  children?: ReactNode
}

/** Of the last page. The first one is announced by the browser. */
let shownTitle: string | undefined

/**
 * A page with its heading, which also stands in the window's title. A page that follows another one
 * starts there for the keyboard and for screen readers, too.
 */
export function Page({ title, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null)

  useEffect(() => {
    if (shownTitle !== undefined && shownTitle !== title) {
      heading.current?.focus({ preventScroll: true })
    }
    shownTitle = title
    document.title = `${title} – ${appName}`
    return () => {
      document.title = appName
    }
  }, [title])

  return (
    <>
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </>
  )
}
