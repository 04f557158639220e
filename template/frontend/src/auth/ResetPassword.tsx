import { Link, useLocation } from 'react-router'
import { useResetPassword } from '../api/auth'
import { ApiClientError } from '../api/client'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'

/** Where the link in the mail leads. Its token stands after the #, and so in no server's log. */
export function ResetPassword() {
  const token = useLocation().hash.slice(1)
  const reset = useResetPassword()

  if (token === '') {
    return (
      <Page title="Set a new password">
        <p className="problems" role="alert">This link is not complete. Copy all of it from the mail.</p>
        <p>
          <Link to="/forgot">Send me another mail</Link>
        </p>
      </Page>
    )
  }
  if (reset.isSuccess) {
    return (
      <Page title="Log in with the new password">
        <p>Your new password is set.</p>
        <p>
          <Link to="/login">Log in</Link>
        </p>
      </Page>
    )
  }
  if (reset.error instanceof ApiClientError && reset.error.status === 401) {
    return (
      <Page title="This link does not work any more">
        <p className="problems" role="alert">It was used already, or it is too old.</p>
        <p>
          <Link to="/forgot">Send me another mail</Link>
        </p>
      </Page>
    )
  }
  return (
    <Page title="Set a new password">
      <Form
        action="Set the password"
        isPending={reset.isPending}
        error={reset.error?.message}
        onSubmit={({ password }) => reset.mutate({ token, password })}
      >
        <Field
          label="New password"
          name="password"
          type="password"
          autoComplete="new-password"
          minLength={8}
          maxLength={128}
          required
          hint="8 to 128 characters."
        />
      </Form>
    </Page>
  )
}
