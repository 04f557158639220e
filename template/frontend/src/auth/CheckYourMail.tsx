import type { ReactNode } from 'react'
import { Page } from '../components/Page'
import { useTexts } from '../texts'

/** Says the same whether the address is known or not. */
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
