import { Link, useLocation } from 'react-router'
import { useConfirmEmail } from '../../api/account'
import { ApiClientError } from '../../api/client'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'

/** Where the link in the mail to a new address leads. Its token stands after the #. */
export function ConfirmEmail() {
  const token = useLocation().hash.slice(1)
  const confirm = useConfirmEmail()

  if (confirm.isSuccess) {
    return (
      <Page title="Address changed">
        <p>You log in with it from now on.</p>
        <p>
          <Link to="/account">Your account</Link>
        </p>
      </Page>
    )
  }
  return (
    <Page title="Confirm your new address">
      <Form
        action="Confirm"
        isPending={confirm.isPending}
        error={confirm.error && reason(confirm.error)}
        onSubmit={() => confirm.mutate(token)}
      >
        <p>One more click, and your account has the new address.</p>
      </Form>
    </Page>
  )
}

function reason(error: Error): string {
  return error instanceof ApiClientError && (error.status === 401 || error.status === 404)
    ? 'This link has been used already, is too old, or is not complete.'
    : error.message
}
