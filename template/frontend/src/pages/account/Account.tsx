import { Link, useLocation } from 'react-router'
import { useAccount, useEndSession, useSessions } from '../../api/account'
import { useResendVerification } from '../../api/auth'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { Problems } from '../../components/Problems'
import { useLanguage, useTexts } from '../../texts'

export function Account() {
  const { data: user, error } = useAccount()
  const { state } = useLocation()
  const t = useTexts()

  return (
    <Page title={t.account}>
      {state?.done && <output className="done">{state.done}</output>}
      {error && <Problems error={error} />}
      {user && (
        <>
          <dl>
            <dt>{t.name}</dt>
            <dd>
              {user.name} <Link to="/account/name">{t.changeName}</Link>
            </dd>
            <dt>{t.email}</dt>
            <dd>
              {user.email} <Link to="/account/email">{t.changeEmail}</Link>
            </dd>
            <dt>{t.password}</dt>
            <dd>
              <Link to="/account/password">{t.changePassword}</Link>
            </dd>
          </dl>
          {user.is_verified ? (
            <p>{t.isVerified}</p>
          ) : (
            <Verification email={user.email} />
          )}
          <Sessions />
          <p>
            <Link to="/account/delete">{t.deleteTitle}</Link>
          </p>
        </>
      )}
      {!user && !error && <output>{t.loading}</output>}
    </Page>
  )
}

function Verification({ email }: { email: string }) {
  const resend = useResendVerification()
  const t = useTexts()

  return (
    <Form
      action={t.sendAgain}
      isPending={resend.isPending}
      error={resend.error}
      onSubmit={() => resend.mutate({ email })}
    >
      <p>{t.isNotVerified}</p>
      {resend.isSuccess && <output className="done">{t.sent}</output>}
    </Form>
  )
}

function Sessions() {
  const sessions = useSessions()
  const end = useEndSession()
  const language = useLanguage()
  const t = useTexts()
  const error = sessions.error ?? end.error

  return (
    <>
      <h2>{t.sessions}</h2>
      {error && <Problems error={error} />}
      <ul className="sessions">
        {sessions.data?.map((session) => (
          <li key={session.pid}>
            <p>
              {session.browser || t.unknownBrowser}
              <br />
              <span className="hint">
                {t.since}{' '}
                <time dateTime={session.created_at}>{new Date(session.created_at).toLocaleDateString(language)}</time>
              </span>
            </p>
            {session.is_current ? (
              <p className="hint">{t.thisSession}</p>
            ) : (
              <button type="button" className="link" onClick={() => end.mutate(session.pid)}>
                {t.endSession}
              </button>
            )}
          </li>
        ))}
      </ul>
    </>
  )
}
