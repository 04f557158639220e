import { Link, useParams } from 'react-router'
import { useVerify } from '../api/auth'
import { ApiClientError } from '../api/client'
import { Form } from '../components/Form'
import { Page } from '../components/Page'

/** Where the link in the welcome mail leads. A button keeps mail scanners from verifying addresses. */
export function Verify() {
  const { token = '' } = useParams()
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
  return (
    <Page title="Verify your address">
      <Form
        action="Verify"
        isPending={verify.isPending}
        error={verify.error && reason(verify.error)}
        onSubmit={() => verify.mutate(token)}
      >
        <p>One click is left.</p>
      </Form>
      {verify.isError && (
        <p>
          <Link to="/login">Log in</Link>
        </p>
      )}
    </Page>
  )
}

function reason(error: Error): string {
  return error instanceof ApiClientError && error.status === 401
    ? 'This link has been used already, or a newer mail has replaced it.'
    : error.message
}
