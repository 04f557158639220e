import { Link, useLocation } from 'react-router'
import { useResetPassword } from '../api/auth'
import { ApiClientError } from '../api/client'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'
import { useTexts } from '../texts'

/** The target of the emailed link. The token is in the fragment, so no server logs it. */
export function ResetPassword() {
  const token = useLocation().hash.slice(1)
  const reset = useResetPassword()
  const t = useTexts()

  if (token === '') {
    return (
      <Page title={t.resetTitle}>
        <p role="alert">{t.incomplete}</p>
        <p>
          <Link to="/forgot">{t.getAnother}</Link>
        </p>
      </Page>
    )
  }
  if (reset.isSuccess) {
    return (
      <Page title={t.passwordSet}>
        <p>
          <Link to="/login">{t.logIn}</Link>
        </p>
      </Page>
    )
  }
  if (reset.error instanceof ApiClientError && reset.error.status === 401) {
    return (
      <Page title={t.voidTitle}>
        <p role="alert">{t.voidText}</p>
        <p>
          <Link to="/forgot">{t.getAnother}</Link>
        </p>
      </Page>
    )
  }
  return (
    <Page title={t.resetTitle}>
      <Form
        action={t.setPassword}
        isPending={reset.isPending}
        error={reset.error}
        onSubmit={({ password }) => reset.mutate({ token, password })}
      >
        <Field
          label={t.newPassword}
          name="password"
          type="password"
          autoComplete="new-password"
          minLength={8}
          required
          hint={t.passwordHint}
        />
      </Form>
    </Page>
  )
}
