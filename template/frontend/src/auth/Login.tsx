import { Link, Navigate, useLocation } from 'react-router'
import { useLogin } from '../api/auth'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'
import { useTexts } from '../texts'
import { useIsLoggedIn } from './user'

export function Login() {
  const isLoggedIn = useIsLoggedIn()
  const { state } = useLocation()
  const login = useLogin()
  const t = useTexts()

  if (isLoggedIn) {
    return <Navigate to={state?.from ?? '/account'} replace />
  }
  return (
    <Page title={t.logIn}>
      <Form
        action={t.logIn}
        isPending={login.isPending}
        error={login.error}
        reasons={{ 401: t.wrongLogin }}
        onSubmit={({ email, password }) => login.mutate({ email, password })}
      >
        <Field label={t.email} name="email" type="email" autoComplete="email" required />
        <Field
          label={t.password}
          name="password"
          type="password"
          autoComplete="current-password"
          required
        />
      </Form>
      <p>
        <Link to="/forgot">{t.forgotTitle}</Link>
      </p>
      <p>
        <Link to="/magic-link">{t.magicLinkTitle}</Link>
      </p>
      <p>
        {t.noAccount} <Link to="/register">{t.register}</Link>
      </p>
    </Page>
  )
}
