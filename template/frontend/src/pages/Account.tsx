import { useCurrentUser } from '../api/auth'
import { Page } from '../components/Page'

export function Account() {
  const { data: user, error } = useCurrentUser()

  return (
    <Page title="Your account">
      {error && <p role="alert">{error.message}</p>}
      {user && (
        <dl>
          <dt>Name</dt>
          <dd>{user.name}</dd>
          <dt>Email</dt>
          <dd>{user.email}</dd>
        </dl>
      )}
      {!user && !error && <output>Loading…</output>}
    </Page>
  )
}
