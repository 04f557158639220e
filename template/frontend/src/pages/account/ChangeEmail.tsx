import { useNavigate } from 'react-router'
import { useChangeEmail } from '../../api/account'
import { Field } from '../../components/Field'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { useTexts } from '../../texts'
import { Cancel } from './Cancel'
import { CurrentPassword } from './CurrentPassword'

export function ChangeEmail() {
  const change = useChangeEmail()
  const navigate = useNavigate()
  const t = useTexts()

  function handleChange(email: string, current_password: string) {
    const state = { done: t.emailAsked }
    change.mutate(
      { email, current_password },
      { onSuccess: () => void navigate('/account', { state }) },
    )
  }

  return (
    <Page title={t.changeEmail}>
      <Form
        action={t.sendLink}
        isPending={change.isPending}
        error={change.error}
        onSubmit={({ email, current_password }) => handleChange(email, current_password)}
      >
        <p>{t.changeEmailText}</p>
        <Field label={t.email} name="email" type="email" autoComplete="email" required />
        <CurrentPassword />
      </Form>
      <Cancel />
    </Page>
  )
}
