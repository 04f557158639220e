import { useEffect, useRef, type ReactNode } from 'react'
import { appName } from '../appName'

interface Props {
  title: string
  children?: ReactNode
}

/** The title of the previous page. The browser announces that of the first. */
let shownTitle: string | undefined

/**
 * A page with its heading, which is also the window's title. After navigation, the heading gets the
 * focus, so that keyboard and screen reader users start there, too.
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
