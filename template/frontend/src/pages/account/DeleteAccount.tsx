import { useDeleteAccount } from '../../api/account'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { Cancel } from './Cancel'
import { CurrentPassword } from './CurrentPassword'

export function DeleteAccount() {
  const deletion = useDeleteAccount()

  return (
    <Page title="Delete your account">
      <Form
        action="Delete the account"
        isPending={deletion.isPending}
        error={deletion.error?.message}
        onSubmit={({ current_password }) => deletion.mutate({ current_password })}
      >
        <p>Everything that belongs to it is deleted with it. This cannot be undone.</p>
        <CurrentPassword />
      </Form>
      <Cancel />
    </Page>
  )
}
