import { Link, Navigate } from 'react-router'
import { useMagicLinkLogin } from '../api/auth'
import { Form } from '../components/Form'
import { Page } from '../components/Page'
import { useTexts } from '../texts'

/** The target of the emailed link, which works once: a button keeps mail scanners from using it. */
export function MagicLinkLogin({ token }: { token: string }) {
  const login = useMagicLinkLogin()
  const t = useTexts()

  if (login.isSuccess) {
    return <Navigate to="/account" replace />
  }
  return (
    <Page title={t.magicLinkConfirmTitle}>
      <Form
        action={t.logIn}
        isPending={login.isPending}
        error={login.error}
        reasons={{ 401: t.voidText }}
        onSubmit={() => login.mutate(token)}
      >
        <p>{t.magicLinkConfirmText}</p>
      </Form>
      {login.isError && (
        <p>
          <Link to="/magic-link">{t.getAnother}</Link>
        </p>
      )}
    </Page>
  )
}
