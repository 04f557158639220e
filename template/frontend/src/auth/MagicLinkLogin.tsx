import { Link, Navigate } from 'react-router'
import { useMagicLinkLogin } from '../api/auth'
import { ApiClientError } from '../api/client'
import { Form } from '../components/Form'
import { Page } from '../components/Page'

/** Where the link in the mail leads. It works once: a button keeps mail scanners from using it up. */
export function MagicLinkLogin({ token }: { token: string }) {
  const login = useMagicLinkLogin()

  if (login.isSuccess) {
    return <Navigate to="/account" replace />
  }
  return (
    <Page title="Welcome back">
      <Form
        action="Log in"
        isPending={login.isPending}
        error={login.error && reason(login.error)}
        onSubmit={() => login.mutate(token)}
      >
        <p>One more click, and you are logged in.</p>
      </Form>
      {login.isError && (
        <p>
          <Link to="/magic-link">Send me another link</Link>
        </p>
      )}
    </Page>
  )
}

function reason(error: Error): string {
  return error instanceof ApiClientError && error.status === 401
    ? 'This link has been used already, or is too old.'
    : error.message
}
