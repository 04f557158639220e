import { useNavigate } from 'react-router'
import { useChangeEmail } from '../../api/account'
import { Field } from '../../components/Field'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { Cancel } from './Cancel'
import { CurrentPassword } from './CurrentPassword'

export function ChangeEmail() {
  const change = useChangeEmail()
  const navigate = useNavigate()

  function handleChange(email: string, current_password: string) {
    const state = { done: 'Check the email at your new address, and follow the link in it.' }
    change.mutate(
      { email, current_password },
      { onSuccess: () => void navigate('/account', { state }) },
    )
  }

  return (
    <Page title="Change your email address">
      <Form
        action="Send the link"
        isPending={change.isPending}
        error={change.error?.message}
        onSubmit={({ email, current_password }) => handleChange(email, current_password)}
      >
        <p>
          We send a link to the new address. Once you have followed it, you log in with the new address.
        </p>
        <Field label="Email address" name="email" type="email" autoComplete="email" required />
        <CurrentPassword />
      </Form>
      <Cancel />
    </Page>
  )
}
