import { Link, Navigate, useLocation } from 'react-router'
import { useLogin } from '../api/auth'
import { ApiClientError } from '../api/client'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'
import { useIsLoggedIn } from './user'

export function Login() {
  const isLoggedIn = useIsLoggedIn()
  const { state } = useLocation()
  const login = useLogin()

  if (isLoggedIn) {
    return <Navigate to={state?.from ?? '/account'} replace />
  }
  return (
    <Page title="Log in">
      <Form
        action="Log in"
        isPending={login.isPending}
        error={login.error && reason(login.error)}
        onSubmit={({ email, password }) => login.mutate({ email, password })}
      >
        <Field label="Email address" name="email" type="email" autoComplete="email" required />
        <Field label="Password" name="password" type="password" autoComplete="current-password" required />
      </Form>
      <p>
        <Link to="/forgot">Forgot your password?</Link>
      </p>
      <p>
        <Link to="/magic-link">Log in without a password</Link>
      </p>
      <p>
        No account yet? <Link to="/register">Register</Link>
      </p>
    </Page>
  )
}

function reason(error: Error): string {
  return error instanceof ApiClientError && error.status === 401
    ? 'The email or the password is wrong.'
    : error.message
}
