import { Link } from 'react-router'
import { useRegister, useResendVerification } from '../api/auth'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'

export function Register() {
  const register = useRegister()

  if (register.isSuccess) {
    return <CheckYourMail email={register.variables.email} />
  }
  return (
    <Page title="Create an account">
      <Form
        action="Register"
        isPending={register.isPending}
        error={register.error?.message}
        onSubmit={({ name, email, password }) => register.mutate({ name, email, password })}
      >
        <Field label="Name" name="name" autoComplete="name" minLength={2} maxLength={100} required />
        <Field label="Email address" name="email" type="email" autoComplete="email" required />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="new-password"
          minLength={8}
          maxLength={128}
          required
          hint="8 to 128 characters."
        />
      </Form>
      <p>
        Already registered? <Link to="/login">Log in</Link>
      </p>
    </Page>
  )
}

function CheckYourMail({ email }: { email: string }) {
  const resend = useResendVerification()

  return (
    <Page title="Check your mail">
      <p>
        If <strong>{email}</strong> is not registered yet, a mail with a link to verify it is on its way.
      </p>
      <Form
        action="Send it again"
        isPending={resend.isPending}
        error={resend.error?.message}
        onSubmit={() => resend.mutate({ email })}
      >
        <p>Nothing there? Look into the spam folder, or have it sent again.</p>
        {resend.isSuccess && <output className="done">If a mail is still needed, it is on its way.</output>}
      </Form>
      <p>
        <Link to="/login">Log in</Link>
      </p>
    </Page>
  )
}
