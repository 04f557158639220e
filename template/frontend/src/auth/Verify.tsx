import { Link, useParams } from 'react-router'
import { useVerify } from '../api/auth'
import { ApiClientError } from '../api/client'
import { Page } from '../components/Page'

/** Where the link in the welcome mail leads. */
export function Verify() {
  const { token = '' } = useParams()
  const { isPending, error } = useVerify(token)

  if (isPending) {
    return <Page title="Verifying your address…" />
  }
  if (error) {
    return (
      <Page title="Not verified">
        <p role="alert">
          {error instanceof ApiClientError && error.status === 401
            ? 'This link has been used already, or a newer mail has replaced it.'
            : error.message}
        </p>
        <p>
          <Link to="/login">Log in</Link>
        </p>
      </Page>
    )
  }
  return (
    <Page title="Address verified">
      <p>Thank you.</p>
      <p>
        <Link to="/login">Log in</Link>
      </p>
    </Page>
  )
}
