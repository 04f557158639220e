import { Link, useLocation } from 'react-router'
import { useAccount, useEndSession, useSessions } from '../../api/account'
import { useResendVerification } from '../../api/auth'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'

export function Account() {
  const { data: user, error } = useAccount()
  const { state } = useLocation()

  return (
    <Page title="Your account">
      {state?.done && <output className="done">{state.done}</output>}
      {error && (
        <p className="problems" role="alert">
          {error.message}
        </p>
      )}
      {user && (
        <>
          <dl>
            <dt>Name</dt>
            <dd>
              {user.name} <Link to="/account/name">Change your name</Link>
            </dd>
            <dt>Email address</dt>
            <dd>
              {user.email} <Link to="/account/email">Change your email address</Link>
            </dd>
            <dt>Password</dt>
            <dd>
              <Link to="/account/password">Change your password</Link>
            </dd>
          </dl>
          {user.is_verified ? (
            <p>Your email address is verified.</p>
          ) : (
            <Verification email={user.email} />
          )}
          <Sessions />
          <p>
            <Link to="/account/delete">Delete your account</Link>
          </p>
        </>
      )}
      {!user && !error && <output>Loading…</output>}
    </Page>
  )
}

function Verification({ email }: { email: string }) {
  const resend = useResendVerification()

  return (
    <Form
      action="Send the email again"
      isPending={resend.isPending}
      error={resend.error?.message}
      onSubmit={() => resend.mutate({ email })}
    >
      <p>Your email address is not verified yet. Follow the link in our email.</p>
      {resend.isSuccess && <output className="done">The email is on its way.</output>}
    </Form>
  )
}

function Sessions() {
  const sessions = useSessions()
  const end = useEndSession()
  const error = sessions.error ?? end.error

  return (
    <>
      <h2>Where you are logged in</h2>
      {error && (
        <p className="problems" role="alert">
          {error.message}
        </p>
      )}
      <ul className="sessions">
        {sessions.data?.map((session) => (
          <li key={session.pid}>
            <p>
              {session.browser || 'Unknown browser'}
              <br />
              <span className="hint">
                since{' '}
                <time dateTime={session.created_at}>{new Date(session.created_at).toLocaleDateString()}</time>
              </span>
            </p>
            {session.is_current ? (
              <p className="hint">This is here.</p>
            ) : (
              <button type="button" className="link" onClick={() => end.mutate(session.pid)}>
                Log out there
              </button>
            )}
          </li>
        ))}
      </ul>
    </>
  )
}
