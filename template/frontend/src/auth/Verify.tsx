import { Link, useLocation } from 'react-router'
import { useResendVerification, useVerify } from '../api/auth'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'
import { useTexts } from '../texts'

/**
 * The target of the link in the welcome email. The token is in the fragment, so no server logs it. A
 * button keeps mail scanners from verifying addresses.
 */
export function Verify() {
  const token = useLocation().hash.slice(1)
  const verify = useVerify()
  const t = useTexts()

  if (verify.isSuccess) {
    return (
      <Page title={t.verified}>
        <p>
          <Link to="/login">{t.logIn}</Link>
        </p>
      </Page>
    )
  }
  if (token === '') {
    return (
      <Page title={t.verifyTitle}>
        <p role="alert">{t.incomplete}</p>
        <AnotherMail />
      </Page>
    )
  }
  return (
    <Page title={t.verifyTitle}>
      <Form
        action={t.verify}
        isPending={verify.isPending}
        error={verify.error}
        reasons={{ 401: t.voidText }}
        onSubmit={() => verify.mutate(token)}
      >
        <p>{t.verifyText}</p>
      </Form>
      {verify.isError && <AnotherMail />}
    </Page>
  )
}

function AnotherMail() {
  const resend = useResendVerification()
  const t = useTexts()

  return (
    <Form
      action={t.sendAgain}
      isPending={resend.isPending}
      error={resend.error}
      onSubmit={({ email }) => resend.mutate({ email })}
    >
      <Field label={t.email} name="email" type="email" autoComplete="email" required />
      {resend.isSuccess && <output className="done">{t.sent}</output>}
    </Form>
  )
}
