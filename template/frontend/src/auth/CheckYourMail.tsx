import type { ReactNode } from 'react'
import { Page } from '../components/Page'
import { useTexts } from '../texts'

/** The same whether or not the address is known. */
export function CheckYourMail({ children }: { children?: ReactNode }) {
  const t = useTexts()

  return (
    <Page title={t.checkTitle}>
      <p>{t.checkText}</p>
      <p>{t.checkNothing}</p>
      {children}
    </Page>
  )
}
