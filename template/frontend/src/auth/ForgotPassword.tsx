import { useForgotPassword } from '../api/auth'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'
import { useTexts } from '../texts'
import { CheckYourMail } from './CheckYourMail'

export function ForgotPassword() {
  const forgot = useForgotPassword()
  const t = useTexts()

  if (forgot.isSuccess) {
    return <CheckYourMail />
  }
  return (
    <Page title={t.forgotTitle}>
      <Form
        action={t.sendLink}
        isPending={forgot.isPending}
        error={forgot.error}
        onSubmit={({ email }) => forgot.mutate({ email })}
      >
        <p>{t.forgotText}</p>
        <Field label={t.email} name="email" type="email" autoComplete="email" required />
      </Form>
    </Page>
  )
}
