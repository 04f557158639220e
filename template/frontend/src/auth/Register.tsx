import { Link } from 'react-router'
import { useRegister, useResendVerification } from '../api/auth'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'
import { useTexts } from '../texts'
import { CheckYourMail } from './CheckYourMail'

export function Register() {
  const register = useRegister()
  const t = useTexts()

  if (register.isSuccess) {
    return (
      <CheckYourMail>
        <SendAgain email={register.variables.email} />
      </CheckYourMail>
    )
  }
  return (
    <Page title={t.registerTitle}>
      <Form
        action={t.register}
        isPending={register.isPending}
        error={register.error}
        onSubmit={({ name, email, password }) => register.mutate({ name, email, password })}
      >
        <Field label={t.name} name="name" autoComplete="name" minLength={2} maxLength={100} required />
        <Field label={t.email} name="email" type="email" autoComplete="email" required />
        <Field
          label={t.password}
          name="password"
          type="password"
          autoComplete="new-password"
          minLength={8}
          required
          hint={t.passwordHint}
        />
      </Form>
      <p>
        {t.haveAccount} <Link to="/login">{t.logIn}</Link>
      </p>
    </Page>
  )
}

function SendAgain({ email }: { email: string }) {
  const resend = useResendVerification()
  const t = useTexts()

  return (
    <Form
      action={t.sendAgain}
      isPending={resend.isPending}
      error={resend.error}
      onSubmit={() => resend.mutate({ email })}
    >
      {resend.isSuccess && <output className="done">{t.sent}</output>}
    </Form>
  )
}
