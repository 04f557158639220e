import { Link, useLocation } from 'react-router'
import { useResendVerification, useVerify } from '../api/auth'
import { ApiClientError } from '../api/client'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'

/**
 * Where the link in the welcome mail leads. Its token stands after the #, and so in no server's log. A
 * button keeps mail scanners from verifying addresses.
 */
export function Verify() {
  const token = useLocation().hash.slice(1)
  const verify = useVerify()

  if (verify.isSuccess) {
    return (
      <Page title="Address verified">
        <p>Thank you.</p>
        <p>
          <Link to="/login">Log in</Link>
        </p>
      </Page>
    )
  }
  if (token === '') {
    return (
      <Page title="Verify your address">
        <p className="problems" role="alert">This link is not complete. Copy all of it from the mail.</p>
        <AnotherMail />
      </Page>
    )
  }
  return (
    <Page title="Verify your address">
      <Form
        action="Verify"
        isPending={verify.isPending}
        error={verify.error && reason(verify.error)}
        onSubmit={() => verify.mutate(token)}
      >
        <p>One more click, and your address is verified.</p>
      </Form>
      {verify.isError && <AnotherMail />}
    </Page>
  )
}

function AnotherMail() {
  const resend = useResendVerification()

  return (
    <Form
      action="Send another mail"
      isPending={resend.isPending}
      error={resend.error?.message}
      onSubmit={({ email }) => resend.mutate({ email })}
    >
      <Field label="Email address" name="email" type="email" autoComplete="email" required />
      {resend.isSuccess && <output className="done">If a mail is still needed, it is on its way.</output>}
    </Form>
  )
}

function reason(error: Error): string {
  return error instanceof ApiClientError && error.status === 401
    ? 'This link has been used already, is too old, or a newer mail has replaced it.'
    : error.message
}
