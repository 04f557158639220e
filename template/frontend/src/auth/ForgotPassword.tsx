import { useForgotPassword } from '../api/auth'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'

export function ForgotPassword() {
  const forgot = useForgotPassword()

  if (forgot.isSuccess) {
    return (
      <Page title="Check your mail">
        <p>
          If <strong>{forgot.variables.email}</strong> is registered, a mail with a link to set a new password is
          on its way. The link is valid for 30 minutes.
        </p>
      </Page>
    )
  }
  return (
    <Page title="Forgot your password?">
      <Form
        action="Send the mail"
        isPending={forgot.isPending}
        error={forgot.error?.message}
        onSubmit={({ email }) => forgot.mutate({ email })}
      >
        <p>We mail you a link with which you can set a new one.</p>
        <Field label="Email address" name="email" type="email" autoComplete="email" required />
      </Form>
    </Page>
  )
}
