import {
  useAccount,
  useChangeEmail,
  useChangeName,
  useChangePassword,
  useDeleteAccount,
  useEndSession,
  useSessions,
  type Account as User,
} from '../api/account'
import { useResendVerification } from '../api/auth'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'

export function Account() {
  const { data: user, error } = useAccount()

  return (
    <Page title="Your account">
      {error && <p role="alert">{error.message}</p>}
      {user && (
        <>
          <Name user={user} />
          <Email user={user} />
          <Password />
          <Sessions />
          <Delete />
        </>
      )}
      {!user && !error && <output>Loading…</output>}
    </Page>
  )
}

function Name({ user }: { user: User }) {
  const change = useChangeName()

  return (
    <section>
      <h2>Name</h2>
      <Form
        action="Save"
        isPending={change.isPending}
        error={change.error?.message}
        onSubmit={({ name }) => change.mutate(name)}
      >
        <Field
          label="Name"
          name="name"
          autoComplete="name"
          defaultValue={user.name}
          minLength={2}
          maxLength={100}
          required
        />
        {change.isSuccess && <output>Your name is changed.</output>}
      </Form>
    </section>
  )
}

function Email({ user }: { user: User }) {
  const change = useChangeEmail()

  return (
    <section>
      <h2>Email</h2>
      <p>
        <strong>{user.email}</strong>
      </p>
      {!user.is_verified && <Verification email={user.email} />}
      <Form
        action="Send the mail"
        isPending={change.isPending}
        error={change.error?.message}
        onSubmit={({ email, current_password }) => change.mutate({ email, current_password })}
      >
        <p>We mail a link to the new address. Once you have followed it, you log in with the new address.</p>
        <Field label="New email" name="email" type="email" autoComplete="email" required />
        <CurrentPassword />
        {change.isSuccess && <output>The mail is on its way to {change.variables.email}.</output>}
      </Form>
    </section>
  )
}

function Verification({ email }: { email: string }) {
  const resend = useResendVerification()

  return (
    <Form
      action="Send the mail again"
      isPending={resend.isPending}
      error={resend.error?.message}
      onSubmit={() => resend.mutate(email)}
    >
      <p>This address is not verified yet. Follow the link in our mail.</p>
      {resend.isSuccess && <output>The mail is on its way.</output>}
    </Form>
  )
}

function Password() {
  const change = useChangePassword()

  return (
    <section>
      <h2>Password</h2>
      <Form
        action="Set the password"
        isPending={change.isPending}
        error={change.error?.message}
        onSubmit={({ current_password, new_password }) => change.mutate({ current_password, new_password })}
      >
        <p>You stay logged in here, and are logged out everywhere else.</p>
        <CurrentPassword />
        <Field
          label="New password"
          name="new_password"
          type="password"
          autoComplete="new-password"
          minLength={8}
          maxLength={128}
          required
          hint="8 to 128 characters"
        />
        {change.isSuccess && <output>Your new password is set.</output>}
      </Form>
    </section>
  )
}

function Sessions() {
  const sessions = useSessions()
  const end = useEndSession()
  const error = sessions.error ?? end.error

  return (
    <section>
      <h2>Where you are logged in</h2>
      {error && <p role="alert">{error.message}</p>}
      <ul className="sessions">
        {sessions.data?.map((session) => (
          <li key={session.pid}>
            <p>
              {session.browser || 'Unknown browser'}{' '}
              <span className="hint">
                since{' '}
                <time dateTime={session.created_at}>{new Date(session.created_at).toLocaleDateString()}</time>
              </span>
            </p>
            {session.is_current ? (
              <p className="hint">This is here.</p>
            ) : (
              <button type="button" onClick={() => end.mutate(session.pid)}>
                Log out there
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

function Delete() {
  const deletion = useDeleteAccount()

  return (
    <section>
      <h2>Delete your account</h2>
      <Form
        action="Delete the account"
        isPending={deletion.isPending}
        error={deletion.error?.message}
        onSubmit={({ current_password }) => deletion.mutate(current_password)}
      >
        <p>Everything that belongs to it is deleted with it. This cannot be undone.</p>
        <CurrentPassword />
      </Form>
    </section>
  )
}

/** What hands the account over asks for the password again. */
function CurrentPassword() {
  return (
    <Field
      label="Current password"
      name="current_password"
      type="password"
      autoComplete="current-password"
      required
    />
  )
}
